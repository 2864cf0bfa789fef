-- Asked: queue. Answers: the moment when its first message became or becomes available, or nil.
local queue = asked[1]
local at = earlier(earlier(first(queue, 'a'), first(queue, 'l')), first(queue, 'h'))
return at and string.sub(at, 1, 20) or false
