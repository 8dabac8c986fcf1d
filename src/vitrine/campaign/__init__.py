"""Many independent tasks on Dask or in this process, and the store of what is finished."""
