-- How long the record of an ended execution is kept (ms), as its message says: the third value of a msgpack array, after
-- the version and the task's name (core/envelope.ts). 15 minutes when the message cannot be read.
local function ttl_of(message)
  local byte = string.byte
  local kind = message and byte(message, 3)
  if not kind then
    return 900000
  end
  local at
  if kind >= 0xa0 and kind < 0xc0 then
    at = 4 + kind - 0xa0
  elseif kind == 0xd9 then
    at = 5 + (byte(message, 4) or 0)
  elseif kind == 0xda then
    at = 6 + (byte(message, 4) or 0) * 256 + (byte(message, 5) or 0)
  end
  kind = at and byte(message, at)
  if not kind then
    return 900000
  elseif kind < 0x80 then
    return kind
  end
  local size = ({ [0xcc] = 1, [0xcd] = 2, [0xce] = 4 })[kind]
  if size and #message >= at + size then
    local ttl = 0
    for i = 1, size do
      ttl = ttl * 256 + byte(message, at + i)
    end
    return ttl
  elseif kind == 0xcb and #message >= at + 8 then
    return math.floor(struct.unpack('>d', string.sub(message, at + 1, at + 8)))
  end
  return 900000
end
