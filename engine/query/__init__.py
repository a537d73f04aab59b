"""What may be asked of the engine over HTTP: one file a noun, put together in `http`.

===============  ===================================================================
`http`           the application: every route, the bounds on a request, its lifetime
`answer`         how an answer is encoded: JSON or msgpack, kept or never kept
`problem`        the one shape of every error
`schema`         OpenAPI 3.1, from the typed handlers
`access`         who may ask: a token, or anyone on the demo's own machine
`auth`, `keys`   what a token must be, and what it is checked with
`view`           what the routes ask of a tenant
`levels`         levels, their plans, their occupancy
`live`           the live stream of a level as server-sent events
`spaces`         one space
`colleagues`     the finder;  `directory`: the names it searches
`me`             the caller's own consent
`ingest`         webhooks in
`demo`           the demo's sign-in, and the time of its day
`page`           the built map page
===============  ===================================================================
"""
