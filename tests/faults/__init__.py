"""What strangers' files, signals, full disks and closed pipes do to the tool: nothing."""
