-- Reads the header of a message, a msgpack array: version, task name, ttl, attempt, id (wire/envelope.ts).

-- Returns the first and the last position of the text at `at`, or nothing when there is none.
local function text_at(message, at)
  local kind, first, second = string.byte(message, at, at + 2)
  if not kind then
    return
  elseif kind >= 0xa0 and kind < 0xc0 then
    return at + 1, at + kind - 0xa0
  elseif kind == 0xd9 and first then
    return at + 2, at + 1 + first
  elseif kind == 0xda and second then
    return at + 3, at + 2 + first * 256 + second
  end
end

-- Returns the number at `at` and the position behind it, or nothing when there is none.
local function number_at(message, at)
  local kind = string.byte(message, at)
  if not kind then
    return
  elseif kind < 0x80 then
    return kind, at + 1
  end
  local size = ({ [0xcc] = 1, [0xcd] = 2, [0xce] = 4 })[kind]
  if size and #message >= at + size then
    local number = 0
    for i = 1, size do
      number = number * 256 + string.byte(message, at + i)
    end
    return number, at + 1 + size
  elseif kind == 0xcb and #message >= at + 8 then
    return math.floor(struct.unpack('>d', string.sub(message, at + 1, at + 8))), at + 9
  end
end

local function ttl_at(message)
  local _, last = text_at(message or '', 3)
  if last then
    return number_at(message, last + 1)
  end
end

-- Returns how long the record of the execution is kept after its end, in milliseconds.
local function ttl_of(message)
  return ttl_at(message) or DEFAULT_TTL_MS
end

-- Returns the id of an execution without a record, or '' when it cannot be read.
local function id_of(message)
  local _, attempt_at = ttl_at(message)
  local _, at = number_at(message or '', attempt_at or 0)
  local first, last = text_at(message or '', at or 0)
  return first and string.sub(message, first, last) or ''
end
