document.title = "A page, begun"; // and a little more, so that it can become shorter, shorter, shorter, shorter, shorter, shorter
