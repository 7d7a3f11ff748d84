package org.openapitools.jackson.nullable;

import com.fasterxml.jackson.databind.module.SimpleModule;

/** The part of the library's interface that generated clients use, to compile them without the library. */
public class JsonNullableModule extends SimpleModule {}
