-- Removes failures for good.
-- KEYS  failures
-- ARGV  prefix, then ids
-- Reply number of ids that were looked at: fewer than there are, after 1 MiB; number of failures that were removed
--@include now
local prefix = ARGV[1]
--@include fields
--@include message
--@include failures

open_failures()
local looked_at, removed, bytes = 0, 0, 0
for at = 2, #ARGV do
  if bytes > BATCH_BYTES then
    break
  end
  looked_at = looked_at + 1
  local entry = redis.call('XRANGE', failures, ARGV[at], ARGV[at])[1]
  if entry then
    local fields = fields_of(entry[2])
    bytes = bytes + bytes_of_failure(fields)
    remove_failure(ARGV[at], fields)
    removed = removed + 1
  end
end
write_failure_bytes()
return { looked_at, removed }
