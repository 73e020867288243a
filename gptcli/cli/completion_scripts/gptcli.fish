# fish completion for gptcli, as Typer writes it (`gptcli --show-completion`).

complete --command gptcli --no-files --arguments "(env _GPTCLI_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS=(commandline -cp) gptcli)" --condition "env _GPTCLI_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args _TYPER_COMPLETE_ARGS=(commandline -cp) gptcli"
