-- Removes the members of a sorted set whose time has passed: a bounded number, and the rest in later calls.
local function trim(set, last)
  local past = redis.call('ZRANGE', set, '-inf', digits(last), 'BYSCORE', 'LIMIT', 0, BATCH_ITEMS)
  if #past > 0 then
    redis.call('ZREM', set, unpack(past))
  end
end
