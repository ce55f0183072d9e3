"""What is measured, as tables: columns, means over replicates, spread, claims over levels."""
