"""What each command does: reads its options, calls the layers below, prints."""
