"""The data audit log: who wrote, who read, and what operators did; append-only and hash-chained."""
