# Seeded stress tests and their checker.
