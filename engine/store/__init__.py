"""Where things are kept: one file per role of Redis.

==============  ============================================  =====================
role            holds                                         on disk
==============  ============================================  =====================
`locations`     last-known places, consent by opaque number,  never
                the state of sensor channels
`registry`      who opted in: login, name, devices            before it is answered
==============  ============================================  =====================

Both are plain Redis servers (or Valkey); which settings each role requires is checked
when the engine starts. The scripts beside this file run inside of the server, so that
each is one step that nothing can come between.
"""
