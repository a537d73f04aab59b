"""Snapshot and Delta → subscribers: the hub, and a file for each transport.

==============  ====================================================================
`hub`           topics, subscribers, what each has not seen yet; knows no socket
`frames`        what travels: messages of either side, and their framing
`origin`        which web pages may open a socket, and who is at its other end
`websocket`     `/v1/live`, pre-framed bytes straight to the transport
`sse`           the same stream as server-sent events
`http`          the HTTP protocol with the time-outs that cut slow clients
`server`        one port and one loop for all of them
==============  ====================================================================
"""
