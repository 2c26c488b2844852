"""A small Hub on the loopback interface, for the real client."""
