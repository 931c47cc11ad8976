-- Tells whether places of a partition are empty, all at one moment. Only reads.
-- KEYS  streams, sorted sets and hashes
-- Reply 1 when all of them are, else 0
for at = 1, #KEYS do
  local kind = redis.call('TYPE', KEYS[at]).ok
  local count = kind == 'stream' and redis.call('XLEN', KEYS[at])
    or kind == 'zset' and redis.call('ZCARD', KEYS[at])
    or kind == 'hash' and redis.call('HLEN', KEYS[at])
    or 0
  if count > 0 then
    return 0
  end
end
return 1
