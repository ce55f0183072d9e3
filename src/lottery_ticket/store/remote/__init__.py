"""Stores on S3, Google Cloud and Azure.

`store.py` is the store, over a bucket: a few requests, with conditional writes. `keys.py` holds
every key of it, `records.py` what is known of its finished cells, `desk.py` where claims work,
`leases.py` and `in_use.py` who is at work, `tidying.py` what may go; `place.py` holds what all of a
process have together.

`bucket.py` says what a bucket is, `obstore_bucket.py` is one over `obstore` (the extra `remote`),
`opening.py` says where credentials and endpoints come from, `failures.py` and `patience.py` which
requests are tried again, and how often; `probing.py` proves that a server keeps its promises before
anybody builds on them.
"""

from lottery_ticket.store.remote.bucket import Bucket as Bucket
from lottery_ticket.store.remote.bucket import Found as Found
from lottery_ticket.store.remote.bucket import Listed as Listed
from lottery_ticket.store.remote.obstore_bucket import ObstoreBucket as ObstoreBucket
from lottery_ticket.store.remote.opening import SCHEMES as SCHEMES
from lottery_ticket.store.remote.patience import Patience as Patience
from lottery_ticket.store.remote.probing import probe as probe
from lottery_ticket.store.remote.store import ObjectStore as ObjectStore
