-- Removes failures for good.
-- KEYS  failures
-- ARGV  prefix, then ids
-- Reply number of ids that were looked at: fewer than there are, after 1 MiB; number of failures that were removed
--@include now
local prefix = ARGV[1]
--@include fields
--@include message
local opened_failures
--@include failures

local kept = failures()
local looked_at, removed, bytes = 0, 0, 0
for at = 2, #ARGV do
  if bytes > BATCH_BYTES then
    break
  end
  looked_at = looked_at + 1
  local fields = kept.find(ARGV[at])
  if fields then
    bytes = bytes + kept.bytes_of(fields)
    kept.remove(ARGV[at], fields)
    removed = removed + 1
  end
end
kept.write_bytes()
return { looked_at, removed }
