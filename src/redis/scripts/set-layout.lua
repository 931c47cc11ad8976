-- Writes the layout of a docket, in its partition 0. Nothing is written unless the mark of this change is still there: once
-- it has expired, producers add by the layout that they find. Nor is it when another layout is in force than the one that
-- this one was made from: partitions that only the other one has would be lost.
-- KEYS  layout, layout-change
-- ARGV  prefix, token of the change, version of the layout that it was made from ('' for the first), tags of the partitions from 1 on, tags of those that are drained
-- Reply the version of the layout, or '' when the mark is gone or that layout is
--@include now
local prefix = ARGV[1]
--@include generation

if redis.call('GET', KEYS[2]) ~= ARGV[2] or (redis.call('HGET', KEYS[1], LAYOUT.version) or '') ~= ARGV[3] then
  return ''
end
local version = digits(next_generations(1))
redis.call('HSET', KEYS[1], LAYOUT.version, version, LAYOUT.tags, ARGV[4], LAYOUT.draining, ARGV[5])
redis.call(publish_command(), KEYS[#KEYS] .. CHANNEL.layout_changes, version)
return version
