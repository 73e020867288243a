"""What was computed of prompts, kept on the disk for the next process that has their beginning."""
