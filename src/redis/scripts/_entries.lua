--@include streams

-- Whether a text names an entry. That of a record may have been written by anybody; a command would refuse it.
local function is_token(text)
  return string.find(text, '^%a%d+%-%d+$') ~= nil
end

-- Deletes an entry. Returns true when it was there, that is, when the caller owned the delivery.
local function remove(token)
  local stream, id = stream_of(token), string.sub(token, 2)
  redis.pcall('XACK', stream, GROUP, id) -- fails where there is no group yet, see _memory.lua
  return redis.call('XDEL', stream, id) == 1
end
