-- Removes a drained partition from the layout. Adds do not depend on the drained partitions, so this needs no mark and may happen
-- during a change. Does nothing when a change has added the partition to the docket again.
-- KEYS  layout
-- ARGV  prefix, tag
-- Reply 1, or 0 when it is not drained any more
--@include now
local prefix = ARGV[1]
--@include generation

local kept, was_there = {}, false
for tag in string.gmatch(redis.call('HGET', KEYS[1], LAYOUT.draining) or '', '%S+') do
  if tag == ARGV[2] then
    was_there = true
  else
    kept[#kept + 1] = tag
  end
end
if not was_there then
  return 0
end
local version = digits(next_generations(1))
redis.call('HSET', KEYS[1], LAYOUT.version, version, LAYOUT.draining, table.concat(kept, ' '))
redis.call(publish_command(), KEYS[#KEYS] .. CHANNEL.layout_changes, version)
return 1
