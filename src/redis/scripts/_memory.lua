-- A server that is out of memory refuses a script that begins with a write that takes memory, even one that would free
-- some. A script that begins with a write that needs no memory is allowed all of its writes. A server that takes no writes
-- at all (a replica, or one that cannot persist) says so here, before anything is half done and before an item is blamed for
-- it. Where there is no group yet, Redis returns 0 and the embedded server an error.
do
  local reply = redis.pcall('XACK', KEYS[1], GROUP, '0-0')
  if type(reply) == 'table' and not string.find(reply.err, '^NOGROUP') then
    return reply
  end
end
