-- Returns whether an entry is there, and the bytes that were copied to see it. One that was read is looked up where it is
-- pending. If its stream lacks it all the same, it stays pending until its owner renews its lease or loses it.
local function has_entry(token)
  if not is_token(token) then
    return false, 0
  end
  local stream, id = stream_of(token), string.sub(token, 2)
  local pending = redis.pcall('XPENDING', stream, GROUP, id, id, 1) -- an error where there is no group
  if not pending.err and #pending > 0 then
    return true, 0
  end
  local entry = redis.call('XRANGE', stream, id, id)[1]
  return entry ~= nil, entry and string.len(fields_of(entry[2])[ENTRY.message] or '') or 0
end
