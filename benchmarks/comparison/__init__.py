"""The long comparison: ours and tuned trees on several splits of several files, kept as each is finished."""
