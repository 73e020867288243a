"""Many machines: questions go to workers on a Ray cluster, each with a backend of its own.

A worker keeps a batch of its own running, and is given more as its answers come, so that it is
never without. What a worker had that is lost is asked again of another: answers depend on nothing
but their questions, so that nobody can tell. Machines need gptcli, ray and the model, as this one.
"""
