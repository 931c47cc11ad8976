-- While large messages may be on the streams, workers read few at a time: a read takes a number of messages, not of bytes.
local function announce_large(key)
  redis.call('SET', key, '1', 'PX', LARGE_TTL_MS)
end
