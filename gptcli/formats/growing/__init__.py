"""Arrays that grow row by row until nobody knows when, as files that other programs read.

`growing_file` takes the rows as they come and writes each where it stays: memory does not grow with
them, and nothing is written twice but the columns, which are small. `npz` and `safetensors` know
where the pieces go.
"""
