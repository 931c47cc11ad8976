-- The index of the chains that have records.

-- Writes to the record which chain its run belongs to. `...` are more fields for the record, each followed by its value.
local function remember_chain(key, chain, ...)
  redis.call('HSET', prefix .. KEY.record .. key, RECORD.chain, chain, ...)
  redis.call('ZADD', prefix .. KEY.chains, 0, key)
end

local function forget_chain(key)
  redis.call('ZREM', prefix .. KEY.chains, key)
end
