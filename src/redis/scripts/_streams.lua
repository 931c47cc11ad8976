-- A token is the letter of a stream, followed by the id of an entry.
local stream_keys = STREAM_KEYS
local function stream_of(token)
  return prefix .. (stream_keys[string.sub(token, 1, 1)] or KEY.front)
end

-- Returns the priority that the stream of a token stands for; nil for `front` and `work`.
local function priority_of(token)
  local letter = string.sub(token, 1, 1)
  return (letter == STREAM.high or letter == STREAM.low) and letter or nil
end

-- Returns the number of entries on all streams.
local function count_entries()
  local count = 0
  for letter in pairs(stream_keys) do
    count = count + redis.call('XLEN', stream_of(letter))
  end
  return count
end
