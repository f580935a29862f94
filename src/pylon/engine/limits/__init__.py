"""What may stop a request before it does anything: kill-switches, write budgets, and what contains a runaway."""
