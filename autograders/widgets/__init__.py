"""Pictures for notebooks. They take data, never a client, and return HTML."""
