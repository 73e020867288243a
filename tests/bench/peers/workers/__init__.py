"""What runs in the environment of the peers: nothing here imports gptcli."""
