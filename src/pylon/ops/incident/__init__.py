"""The incident kit: records of what happened, a bundle of evidence, and the post-mortem made of both."""
