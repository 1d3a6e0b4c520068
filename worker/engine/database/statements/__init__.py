"""Named SQL statements, one module per subject. A comment above each statement states its purpose."""
