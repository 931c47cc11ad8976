-- Takes a message that can never run from its stream and keeps it where an operator finds it.
-- KEYS  work, front
-- ARGV  prefix, token, key ('' without a record), reason
-- Reply 1 when the entry was still there, else 0
--@include now
local prefix, key = ARGV[1], ARGV[3]
--@include events
--@include entries
--@include moves
--@include permits
--@include quarantine
local entry = read_entry(ARGV[2])
if not remove(ARGV[2]) then
  return 0
end
-- The message is taken from the entry: one that is too large for anything would hold up all that the worker writes behind it.
quarantine(key, ARGV[4], entry and entry[ENTRY.message] or '', key == '', entry and entry[ENTRY.priority])
release_permits({ ARGV[2] })
write_permits()
-- A record that names another entry is another placement's.
if key ~= '' and redis.pcall('HGET', prefix .. KEY.record .. key, RECORD.entry) == ARGV[2] then
  end_execution(key, DEFAULT_TTL_MS, 'failed', RECORD.error_line, ARGV[4])
end
return 1
