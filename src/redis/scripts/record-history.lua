-- Adds one page of a worker's counts to a minute of the history. A page that was added before is not added again: its reply was
-- lost, or it comes late over a connection that broke. Begins with the command that may be refused (a key of another type, full
-- memory), so that a refusal leaves nothing written.
-- KEYS  history:<minute>, history-page:<consumer>
-- ARGV  number of the page, from 1, name of a task, its counts as JSON, ...
-- Reply 1 when it was added; 0 when it had been added before
if (tonumber(redis.call('GET', KEYS[2]) or '') or 0) >= tonumber(ARGV[1]) then
  return 0
end
local left = HISTORY_TASKS - redis.call('HLEN', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', HISTORY_PAGE_TTL_MS)

for i = 2, #ARGV, 2 do
  local name = ARGV[i]
  local text = redis.call('HGET', KEYS[1], name)
  if not text and name ~= HISTORY.all and name ~= HISTORY.other then
    left = left - 1
    if left < 0 then
      name = HISTORY.other
      text = redis.call('HGET', KEYS[1], name)
    end
  end
  local is_valid, counts = pcall(cjson.decode, text or '{}')
  if not is_valid or type(counts) ~= 'table' then
    counts = {}
  end
  for member, count in pairs(cjson.decode(ARGV[i + 1])) do
    counts[member] = (tonumber(counts[member]) or 0) + count
  end
  redis.call('HSET', KEYS[1], name, cjson.encode(counts))
end
redis.call('PEXPIRE', KEYS[1], HISTORY_TTL_MS)
return 1
