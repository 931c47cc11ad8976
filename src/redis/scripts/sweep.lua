-- Looks for expired leases in the whole docket. One worker looks for the whole fleet, and keeps the others from looking
-- for a while. The lease is the longest that a live worker asked for, so that a worker with a shorter one takes
-- nothing from the others.
-- KEYS  work, front, sweeper, workers
-- ARGV  prefix, own lease (ms), pause until the next sweep (ms; '0' for the next page of one's own sweep), limit, where
--       the scan of permits goes on ('0' from the start)
-- Reply nothing when another worker has just looked, else: lease, where the scan of permits goes on, the server's time (ms),
--       tokens whose lease ran out ... (each with its consumer)
--@include now
--@include memory
local prefix = ARGV[1]
--@include events
--@include entries
--@include moves
--@include permits
if ARGV[3] ~= '0' and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[3]) then
  return {}
end
local lease = tonumber(ARGV[2])
local live = {}
for _, consumer in ipairs(redis.call('ZRANGE', KEYS[4], digits(now), '+inf', 'BYSCORE')) do
  live[consumer] = true
  lease = math.max(lease, tonumber(redis.call('HGET', prefix .. KEY.worker .. consumer, WORKER.lease) or 0))
end

-- Permits go with the entries that hold them. If entries vanish in another way (a stream was deleted), their permits
-- would be held for ever. So each sweep looks at one page of permits.
local page = redis.call('HSCAN', permits, ARGV[5], 'COUNT', 100)
local orphans, counted = {}, {}
for at = 1, #page[2], 2 do
  local token, list = page[2][at], pairs_of(page[2][at + 1])
  local id = string.sub(token, 2)
  if #redis.call('XRANGE', stream_of(token), id, id) == 0 then
    orphans[#orphans + 1] = token
  else
    for i = 1, #list, 2 do
      counted[list[i]] = (counted[list[i]] or 0) + 1
    end
  end
end
-- While all of them fit on one page, the counts are checked too: whatever went wrong, no limit stays full.
if ARGV[5] == '0' and page[1] == '0' then
  if #orphans > 0 then
    redis.call('HDEL', permits, unpack(orphans))
  end
  local wrong = {}
  for _, name in ipairs(redis.call('HKEYS', permits_taken)) do
    if taken_at(name) ~= (counted[name] or 0) then
      change_count(name, (counted[name] or 0) - taken_at(name))
      wrong[#wrong + 1] = name
    end
  end
  for _, name in ipairs(wrong) do
    serve_waiters(name)
  end
else
  release_permits(orphans)
end
write_permits()

local reply = { digits(lease), page[1], digits(now) }
for i, letter in ipairs({ STREAM.work, STREAM.front }) do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    for _, pending in ipairs(redis.call('XPENDING', KEYS[i], GROUP, 'IDLE', lease, '-', '+', ARGV[4])) do
      reply[#reply + 1] = letter .. pending[1]
      reply[#reply + 1] = pending[2]
    end
    -- Consumers of dead workers pile up. One that still has something pending is kept until that was redelivered.
    for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[i], GROUP)) do
      local consumer = fields_of(info)
      if consumer.pending == 0 and not live[consumer.name] and consumer.idle > lease then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[i], GROUP, consumer.name)
      end
    end
  end
end
return reply
