"""Pictures and forms for notebooks. They take data and functions, never a client."""
