"""What scripts and packages share: errors for users, atomic files, a job's log, names of secrets, numbers as text."""
