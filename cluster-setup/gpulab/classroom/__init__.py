"""An instructor grades a class: releases, hand-ins, replays on clean clusters, the gradebook.

In reading order: `folder`, `roster`, `release`, `pack`, `collecting`, `handed`, `sandbox`,
`cluster`, `grading`, `batch`, `store`, `gradebook`.
"""
