"""The live replica: readable rows kept current, and changes that wait for the server."""
