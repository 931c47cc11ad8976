-- Begins a sweep. One worker sweeps for the whole fleet, and keeps the others from doing so for a while. Looks at one page
-- of the permits, and at a few chains.
-- KEYS  work, front, sweeper
-- ARGV  prefix, pause until the next sweep (ms), where the scan of permits goes on ('0' from the start)
-- Reply where the scan of permits goes on, the server's time (ms); nothing when another worker has just begun a sweep
--@include now
--@include memory
local prefix = ARGV[1]
--@include events
--@include entries
--@include moves
--@include permits
--@include presence
--@include live_chain
if not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) then
  return {}
end

-- Permits go with the entries that hold them. If entries vanish in another way (a stream was deleted), their permits
-- would be held for ever. So each sweep looks at one page of permits.
local page = redis.call('HSCAN', permits, ARGV[3], 'COUNT', 100)
local orphans, counted = {}, {}
for at = 1, #page[2], 2 do
  local token, list = page[2][at], pairs_of(page[2][at + 1])
  local is_id, is_there = pcall(has_entry, token) -- an id that is none is an error
  if not (is_id and is_there) then
    orphans[#orphans + 1] = token
  else
    for i = 1, #list, 2 do
      counted[list[i]] = (counted[list[i]] or 0) + 1
    end
  end
end
-- While all of them fit on one page, the counts are checked too: whatever went wrong, no limit stays full.
if ARGV[3] == '0' and page[1] == '0' then
  if #orphans > 0 then
    redis.call('HDEL', permits, unpack(orphans))
  end
  local wrong, counts = {}, redis.call('HSCAN', permits_taken, '0', 'COUNT', BATCH_ITEMS)[2]
  for at = 1, #counts, 2 do
    local name = counts[at]
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

-- Each sweep looks at a few chains of the index, at random, so that no key stays there for ever whose chain was lost.
local some = redis.pcall('ZRANDMEMBER', prefix .. KEY.chains, SWEPT_CHAINS)
for _, key in ipairs(some.err and {} or some) do
  live_chain(key)
end

return { page[1], digits(now) }
