-- Removes the members of a sorted set whose time is past: a bounded number, and the rest with later calls.
local function trim(set, last)
  local past = redis.call('ZRANGE', set, '-inf', digits(last), 'BYSCORE', 'LIMIT', 0, BATCH_ITEMS)
  if #past > 0 then
    redis.call('ZREM', set, unpack(past))
  end
end
