"""What an installation consists of: platforms, pieces, their order, and the record for taking them back."""
