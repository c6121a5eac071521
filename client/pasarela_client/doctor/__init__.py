"""Why a model does or does not batch, where its time goes, and what to change: facts first, then rules over them.

`asking` and `probing` fetch the facts from a server; `readiness`, `merging` and `spending` are rules, pure functions
from facts to a finding; `diagnosis` applies them; `report` is what a person reads. Like `pasarela_client.models` it
loads the messages of the Open Inference Protocol.
"""
