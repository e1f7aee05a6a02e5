"""What scenarios and integration tests share."""
