"""What several tests need: tiny models, small images, made-up runs, a loopback Hub."""
