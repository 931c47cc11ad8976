-- A token is the letter of a stream and an entry's id.
local function stream_of(token)
  return string.sub(token, 1, 1) == 'w' and KEYS[1] or KEYS[2]
end

-- Deletes one entry; true when it was there, that is, when the caller owned the delivery. There may be no group yet.
local function remove(token)
  local stream, id = stream_of(token), string.sub(token, 2)
  redis.pcall('XACK', stream, 'workers', id) -- see _memory.lua
  return redis.call('XDEL', stream, id) == 1
end
