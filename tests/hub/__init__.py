"""A Hub on the loopback interface, and what is tested against it."""
