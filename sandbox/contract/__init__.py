"""What a credit graph must do on probe states; runs in a jail too, and never sees the source."""
